-- How large and how bright are the pictures, by format?
select format, mode, count(*) as pictures, min(width) as least_width, max(width) as most_width,
    avg(brightness) as brightness, stddev_samp(contrast) as contrast_spread,
    count(*) filter (where width >= 11) as wide, sum(size_bytes) as size_bytes
from entities_wide
group by format, mode
order by format, mode
