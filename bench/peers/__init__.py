"""What the bench measures against, each started by the bench itself."""
