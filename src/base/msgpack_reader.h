#pragma once
#include "persisting/msgpack_reader.h"
