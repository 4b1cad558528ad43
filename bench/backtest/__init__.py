"""The verdict over the updates that Debian published within its stable releases."""
