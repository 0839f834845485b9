"""Agreement: how far actors say the same, what each of them is like, and which labels look wrong.

`measures` are pure functions; `measure` reads what holds and asks them; `page` is the report as HTML. The package is
called like its command: `lakehouse.agreement(lake, question=...)` is `lakehouse.agreement.measure.agreement`.
"""

from lakehouse.calling import called

called(__name__, "lakehouse.agreement.measure")
