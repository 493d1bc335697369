// TRELLIS_API marks classes and functions of the public headers that live in a core library.
//
// A plugin is compiled with hidden visibility. A class that crosses the boundary must have one type information object
// for all, or dynamic_cast and catch fail on the other side: mark every interface class, and every exception.
#pragma once

#define TRELLIS_API __attribute__((visibility("default")))
