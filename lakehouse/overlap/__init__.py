"""How far two shapes overlap, 0 to 1: boxes, turned boxes, masks, keypoints, stretches, tracks.

Pure functions over arrays, the one place for each: label policies, consensus, agreement and scores ask here.
"""
