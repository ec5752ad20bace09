"""What the bundles of these tests see."""

from networks import spot_picture

# As large as the reference network's, so that the layers are what takes the time.
SIZE = (256, 448)
PICTURES = [spot_picture(people, seed=people) for people in range(1, 5)]
