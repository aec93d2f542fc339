"""ClassLink Roster Server: OneRoster 1.1, through ClassLink's proxy or at the district's server."""
