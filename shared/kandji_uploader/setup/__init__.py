"""The wizard and the doctor."""
