"""What the bundles of these tests see."""

from networks import spot_picture

# As large as the reference network's, so that layers take most of the time. Pictures are no smaller: enlarged
# spots are plateaus of the center map, on which a peak may lie anywhere.
SIZE = (256, 448)
PICTURES = [spot_picture(people, seed=people, size=SIZE) for people in range(1, 5)]
