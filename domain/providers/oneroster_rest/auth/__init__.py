"""The ways in which OneRoster servers want to be asked, each independent of the version."""
