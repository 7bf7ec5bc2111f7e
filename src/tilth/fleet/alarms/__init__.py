"""Alarms of a fleet: rules as data, an engine over facts, and where they are sent.

`rules` reads the rules, `facts` says what is so, `engine` decides, `store` remembers,
`outputs` sends, and `service` runs them beside one another.
"""
