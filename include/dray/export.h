/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Marks a public door; everything else stays hidden inside the library. */
#if defined(__GNUC__)
#define DRAY_API __attribute__((visibility("default")))
#else
#define DRAY_API
#endif
