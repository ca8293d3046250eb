"""SIP as heard on a wire: messages, addresses, SDP, multipart bodies, TCP framing.

Pure and tolerant: what a telephone would still understand is accepted, its faults are listed, and
the bytes as they came are kept, because they are the evidence.
"""
