"""Geometry of regions: masks, polygons, turned boxes. Pure numpy.

Coordinates are continuous pixels of the stored picture before its EXIF turn, origin at the top-left corner; a pixel is
the unit square. What a `Region` of each kind fills, and what the rest of the library may rely on:

box         `x`, `y`, `w`, `h`; `angle` in degrees clockwise about the centre (null or 0: upright; the four are those
            of the box before it is turned)
polygon     `points` (of all parts, one after the other; `v` null), `part_sizes` (points of each part; null: one part),
            `closed` true, `x`, `y`, `w`, `h` its bounds, `area` of the mask that it means
polyline    as polygon, `closed` false, no area
point       one of `points`; `x`, `y` the same, `w` = `h` = 0
ellipse     `x`, `y`, `w`, `h` of the box around it, `angle` as of a box
mask        `mask_encoding` = `coco_rle`, `mask_counts` (compressed, column by column: `rle`), `mask_h`, `mask_w` of the
            whole frame, `x`, `y`, `w`, `h` bounds of the set pixels, `area` their number
keypoints   `points` with `v` 0 (not labelled: x = y = 0), 1 (hidden) or 2 (visible), in the order of the question's
            names; `x`, `y`, `w`, `h` its box
interval    `t_start`, `t_end` in seconds; `channel`, `frame_start`, `frame_end` where they are stated
span        `char_start`, `char_end` in code points, the end excluded; `attrs["text"]` where the source states it

A region of a track has `track_id` and holds from `frame_start` to `frame_end`, both included, counted from 0: one
region for each shape that was stated. `attrs["interpolation"]` = `linear` where the frames between it and the next
shape of its track lie on a line; else it stays where it is.

Names of keypoints and the lines between them stand in `constraints_json` of the question:
`{"keypoints": ["nose", ...], "skeleton": [[0, 1], ...]}`, places counted from 0.
"""
