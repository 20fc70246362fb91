"""When a release may move from the test app to the prod app."""
