"""Point clouds and 3D models as views: which sides are shown, how they are drawn, and the way back into space.

Pure arithmetic on arrays that the decoders have checked. Knows no file format, no model and no limit of a stranger's.
"""
