"""Expand: the model may read single pages again as text, where a letter matters.

shelf     pages as text: read one, search all (pure; the gateway and the MCP server share it)
tools     the two tools, and the desk that answers calls within a budget
dialects  how each wire format offers tools, calls them, and takes their results
loop      asks the upstream again until the model answers; to the client it is one answer
"""
