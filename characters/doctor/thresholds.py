"""Every number the doctor judges by, each with its source. Raise VERSION with any change, here or in what is measured:
photos seen by an older one are looked at again with the next that come.

"Measured" means: on fourteen photos (portraits, groups, masks, a cat, a cup, a night sky), their turned and blurred
copies, and forty drawn portraits of the sample's renderer; `tests/doctor` holds the cases that decide."""

VERSION = 3

# Sharpness of the sharpest tile at 1024 px, across the direction that is blurred most. Measured: sharp photos 126 and
# more in any light, blurred by 1.5 px 20 and less, shaken by 9 px 43 and less (in pictures as large as that).
BLURRED = 60.0
# The same within the face, shown at 128 px. Measured: sharp faces 63 and more, blurred by 3 px (5 px close up) 30 and
# less; of photos enlarged from 400 px, faces close up still have 270 and more: what the training sees of them is sharp.
SOFT_FACE, SHARP_FACE = 30.0, 200.0

# Mean luma. Measured: photos 0.22 to 0.86. Three stops under take 0.45 to 0.15; above 0.92 nothing is left to see.
DARK, BRIGHT = 0.15, 0.92
# Or as dark as that with so little contrast that nothing in it is lit: three stops under gives 0.10 to 0.20 and 0.27 to
# 0.36; a night with lamps in it has more contrast.
DIM, DIM_CONTRAST = 0.22, 0.38
# Of the face. Wide on purpose: dark skin in good light is 0.3, pale skin 0.75, and neither is a fault.
DARK_FACE, BRIGHT_FACE = 0.14, 0.92
# From the 5th to the 95th percentile of the luma. Measured: portraits 0.57 and more; fog, haze and a lens in the light
# take it below 0.2.
PALE = 0.15

# Height of the face box (brow to chin) over the picture's. A person is seven to eight heads high, so a full figure
# gives 0.09, one down to the waist 0.2, head and shoulders 0.32; these lie between. Measured: portraits down to the
# hips 0.14 to 0.24, head and shoulders 0.27 and 0.37.
CLOSE, HALF = 0.26, 0.12

# Height of the face over the side of a square with the picture's area, which is how large a trainer sees it. 0.08 of
# 1024 px are 82 px, ten cells of the latent picture: what is smaller cannot be told from another face.
TINY_FACE = 0.08
# A second face counts when it is at least this high beside the first: smaller ones are passers-by, or mistakes of the
# detector. Measured: in a picture of six people the smallest is 0.8 of the largest.
SECOND_FACE = 0.45
# A box this near to an edge, in fractions of the picture, is a face that is cut off.
EDGE = 0.004

# Pixels over those the base model was trained at. Below a half a photo is enlarged visibly (1.4 times a side), below a
# quarter (twice a side) it teaches blur: kohya's `bucket_no_upscale` refuses to enlarge at all.
SMALL, TOO_SMALL = 0.5, 0.25

# Bits that differ between two perceptual hashes of 64; 6 is the usual cut for pHash. Measured: recompressed, halved or
# brightened copies differ in 0 to 4, a border of 2 % cut off in 0 to 10, different photos in 20 and more. Drawn
# portraits share their composition: two of the sample's twelve differ in 4 bits, but in their light, too.
DUPLICATE_BITS = 6
# The light of two copies may differ by that much (measured: 12 % brighter is 0.1 and 0.1).
DUPLICATE_BRIGHTNESS, DUPLICATE_CONTRAST = 0.1, 0.12
# Not the same moment, but the same pose, place and frame: what a session in one spot gives. Measured: a border of 5 %
# cut off differs in 8 to 12.
ALIKE_BITS = 10

# How many photos. Ten are the floor and twenty to thirty the usual advice for identity LoRAs (PortOS, Astria, fal);
# beyond forty more of the same slow a training without helping it.
FEW, ENOUGH, MANY = 5, 10, 40
# Shares of the framings that a set should have at least: a LoRA that saw close-ups only draws close-ups only.
LEAST_CLOSE, LEAST_WIDER, LEAST_FULL = 0.3, 0.25, 0.1
# More of one kind is never asked for at once: that is as many as the shares demand of the usual set of thirty.
MOST_ADVISED = 10
# Span of the photos' mean luma: less means that all were taken in one light. Measured: the sample's twelve span 0.35.
LEAST_LIGHTS = 0.12
# The share of photos that may resemble another before the coach speaks, and that may have one dominant colour.
MOST_ALIKE, MOST_OF_A_COLOUR = 0.4, 0.6
# Advice on variety needs this many photos to mean anything.
LEAST_TO_COMPARE = 5
