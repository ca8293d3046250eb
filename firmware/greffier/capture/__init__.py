"""From what a line carries to what a call is made of: sound cards, capture files, networks, RTP.

pcap files and mirrored ports go the same way: records, datagrams, and from there to ``calls``.
"""
