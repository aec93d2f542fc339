"""Stand-ins for the providers: their APIs, spoken strictly, over a district's CSV files.

What the providers really do is recorded beside the repository; where a fake and a recording
differ, the fake is wrong.
"""
