// Everything of the library in one include.
#pragma once

#include "persisting/backend_registry.h"
#include "persisting/backends.h"
#include "persisting/bucket_view.h"
#include "persisting/lance_engine.h"
#include "persisting/log.h"
#include "persisting/partition.h"
#include "persisting/queue.h"
#include "persisting/record.h"
#include "persisting/record_page.h"
#include "persisting/result.h"
#include "persisting/storage_backend.h"
#include "persisting/storage_manager.h"
#include "persisting/threads.h"
#include "persisting/value.h"
#include "persisting/verify.h"
