#ifndef GREFFIER_VOICE_H
#define GREFFIER_VOICE_H
#include <stddef.h>
#include <stdint.h>

#include "coder.h"
#include "leg.h"
#include "spool.h"

/* The sound of one leg of one part, encoded (coder.h): where a leg is attached by its voice and not by its
 * part, what it hears waits as it came, is encoded a tick at a time by threads of the spool's, and filed as
 * the AUDIO and GAP plaintexts that greffier.encode.leg, kind "opus", and greffier.recorder.tape make of the
 * same packets. The coder stays the caller's: Python, or the next leg, goes on with it under the same numbers,
 * on the same grid, and ends it.
 *
 * greffier_spool_collect hands out what legs heard, so that it is encoded while others are sealed;
 * greffier_voice_join waits for all of it and files it: nothing heard before a tick is missing in it but the
 * end of a block, less than 20 ms. The order within a part is that in which its voices were handed out.
 *
 * The recorder, one thread, owns voices, as it owns the spool. */
typedef struct greffier_voice greffier_voice;

/* Encoding is done by `threads` threads from now on; 0: by the caller of collect. 0, or -1: there cannot be as
 * many, and nothing has changed. */
int greffier_voice_employ(greffier_spool *spool, uint32_t threads);

/* A voice of `part`, whose leg `number` it is, with a coder of that rate; it ends with the part. NULL if there is
 * no memory. From the attaching of a leg until the join after its detaching nobody else may use the coder, and
 * what it has made before must have been taken out. */
greffier_voice *greffier_voice_new(greffier_spool *spool, greffier_part *part, uint8_t number, int32_t rate,
                                   greffier_coder *coder);

/* As greffier_leg_attach; `law`, ALAW or ULAW, is that of the leg's sound. -1 also where the rates differ.
 * greffier_leg_detach with its part takes the leg off again. */
int greffier_leg_attach_voice(greffier_leg *leg, greffier_voice *voice, int law, int64_t start_at,
                              int64_t begin_ns);

/* Waits for what was handed out, and files it. Returns how many voices had something. */
size_t greffier_voice_join(greffier_spool *spool);

#endif
