// Rearrangements of a linked stage's lists. Each keeps what is computed and changes when, or in which buffer.
#pragma once

#include "trellis/plan/program.h"

namespace trellis::passes {

void reduce_shared_once(StageProgram&);        // a bucket that several layers use is reduced after its last use
void overlap_gathers(Instructions&);           // ZeRO-3 gathers start one layer ahead
void overlap_gathers_and_reductions(Instructions&);  // and ZeRO-2, 3 reductions are waited for one layer later
void hoist_repeated_gathers(Instructions&);    // gathers of kept inputs start before compute that does not need them
void add_in_place(StageProgram&);              // a sum takes the buffer of an operand that is not read later
void add_frees(StageProgram&);                 // after the last use in each pass

}  // namespace trellis::passes
