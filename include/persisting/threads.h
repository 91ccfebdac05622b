// The end of the library's threads.
#pragma once

namespace persisting {

// Runs what the library's pools have to do, then ends and joins their threads; timers are dropped. For programs that
// must not have threads beyond some point, as Python's interpreter while it goes down. Close every backend first: what
// is used later starts threads again. Thread-safe.
void stop_background_threads();

}  // namespace persisting
