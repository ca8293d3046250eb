"""What a machine may lack for a proof."""


class Missing(Exception):
    """This machine cannot do the proof: what it lacks, in one line."""
