/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Stand-in for selinux/avc.h: the one function that servicemanager calls off
 * Android, on a pointer that is then always null.
 */
#ifndef _COMPAT_SELINUX_AVC_H
#define _COMPAT_SELINUX_AVC_H

#include <stdlib.h>

static inline void freecon(char *con)
{
	free(con);
}

#endif
