// The pylance engine: persisting._pylance_engine behind the C ABI of persisting/lance_engine.h.
// Threads: the engine's functions take the GIL themselves and may be called from any thread without it.
#pragma once

namespace persisting::python {

// Imports the Python side (seconds, the first time) and registers the engine. Idempotent; call with the GIL held.
void ensure_lance_engine();

}  // namespace persisting::python
