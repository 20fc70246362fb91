"""Kandji's API: `client` has one method for each documented request, `transport` keeps the rules of requests."""
