#ifndef GREFFIER_VOICE_STATE_H
#define GREFFIER_VOICE_STATE_H
#include "chunk.h"
#include "pool.h"
#include "track.h"
#include "voice.h"

/* What voice.c, track.c, leg.c and spool.c share. */
struct greffier_voice {
    greffier_job job; /* first: what the pool gives back */
    greffier_coder *coder;      /* the job's while it is handed out */
    greffier_chunks given;      /* the job's: what it encodes, and the gaps between */
    greffier_spool *spool;
    greffier_chunks heard;      /* not handed out */
    greffier_track filed;       /* into the part */
    int listed, away; /* in the list of those with something heard; handed out */
    greffier_voice *next_heard; /* in the spool's list of those with something heard */
    greffier_voice *next_given; /* in the spool's list of those handed out */
    greffier_voice *next;       /* in its part */
};

/* Files what a leg heard. */
void greffier_voice_file(greffier_voice *voice, greffier_chunk *chunk);

/* Hands out what was heard. */
void greffier_voice_give(greffier_spool *spool);

/* Waits for what was handed out, and gives the voices of a part up. */
void greffier_voice_drop(greffier_spool *spool, greffier_part *part);

#endif
