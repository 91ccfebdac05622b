#pragma once
#include "persisting/msgpack_writer.h"
