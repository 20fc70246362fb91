"""Kandji's API: `client` has one method for each documented request, `transport` keeps to the rules of the wire."""
