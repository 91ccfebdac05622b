// For nanoarrow's encoder: writes the whole of a text, where flatcc would end it at its first zero
// byte. The metadata of extension types has such bytes.
#pragma once

#include "flatcc_names.h"

#undef flatcc_builder_create_string_strn
#define flatcc_builder_create_string_strn flatcc_builder_create_string
