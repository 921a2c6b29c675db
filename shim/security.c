// SPDX-License-Identifier: GPL-2.0
/*
 * The binder hooks of the security modules.
 *
 * Mainline exports them to nobody, because its own driver is never a module;
 * distributions that build it as one do export them. So the module refers to
 * them weakly, and a hook that is missing refuses everything. The table holds
 * full addresses: a direct call could not reach address 0, which a missing
 * symbol has.
 */
#include <linux/errno.h>
#include <linux/security.h>

#include "abi.h"

#ifdef CONFIG_SECURITY
#pragma weak security_binder_set_context_mgr
#pragma weak security_binder_transaction
#pragma weak security_binder_transfer_binder
#pragma weak security_binder_transfer_file
#endif

static const struct {
	typeof(security_binder_set_context_mgr) *set_context_mgr;
	typeof(security_binder_transaction) *transaction;
	typeof(security_binder_transfer_binder) *transfer_binder;
	typeof(security_binder_transfer_file) *transfer_file;
} hooks = {
	.set_context_mgr = security_binder_set_context_mgr,
	.transaction = security_binder_transaction,
	.transfer_binder = security_binder_transfer_binder,
	.transfer_file = security_binder_transfer_file,
};

bool bus1_security_has_hooks(void)
{
	return hooks.set_context_mgr && hooks.transaction &&
	       hooks.transfer_binder && hooks.transfer_file;
}

int bus1_security_set_context_mgr(const struct cred *mgr)
{
	if (!hooks.set_context_mgr)
		return -EOPNOTSUPP;
	return hooks.set_context_mgr(mgr);
}

int bus1_security_transaction(const struct cred *from, const struct cred *to)
{
	if (!hooks.transaction)
		return -EOPNOTSUPP;
	return hooks.transaction(from, to);
}

int bus1_security_transfer_binder(const struct cred *from,
				  const struct cred *to)
{
	if (!hooks.transfer_binder)
		return -EOPNOTSUPP;
	return hooks.transfer_binder(from, to);
}

int bus1_security_transfer_file(const struct cred *from, const struct cred *to,
				const struct file *file)
{
	if (!hooks.transfer_file)
		return -EOPNOTSUPP;
	return hooks.transfer_file(from, to, file);
}
