"""What labels are called, and what is believed: ontology, label policies, and the story of one thing.

`lakehouse.labels(lake, question, policy, known_at=..., valid_at=...)` is `lakehouse.labels.believed.labels`: the
package is called like its verb.
"""

from lakehouse.calling import called

called(__name__, "lakehouse.labels.believed")
