"""What the clock looks at: ended runs, late tenants, providers that are out, mails to write."""
