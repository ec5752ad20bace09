"""What two or more synchronized cameras tell of a site: where the cameras are."""
