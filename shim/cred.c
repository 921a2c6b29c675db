// SPDX-License-Identifier: GPL-2.0
/*
 * Ids and user namespaces: macros, or inlines without CONFIG_USER_NS.
 */
#include <linux/cred.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>

#include "abi.h"

const struct cred *bus1_current_cred_get(void)
{
	return get_current_cred();
}

kuid_t bus1_current_uid(void)
{
	return current_uid();
}

kgid_t bus1_current_gid(void)
{
	return current_gid();
}

kuid_t bus1_uid_of(const struct cred *cred)
{
	return cred->uid;
}

u64 bus1_user_ns_id(const struct user_namespace *ns)
{
	return ns->ns.ns_id;
}

kuid_t bus1_user_ns_root(struct user_namespace *ns)
{
	return make_kuid(ns, 0);
}

u32 bus1_uid_in(struct user_namespace *ns, kuid_t uid)
{
	return from_kuid(ns, uid);
}

u32 bus1_uid_in_munged(struct user_namespace *ns, kuid_t uid)
{
	return from_kuid_munged(ns, uid);
}

u32 bus1_gid_in_munged(struct user_namespace *ns, kgid_t gid)
{
	return from_kgid_munged(ns, gid);
}

struct user_namespace *bus1_user_ns_get(struct user_namespace *ns)
{
	return get_user_ns(ns);
}

void bus1_user_ns_put(struct user_namespace *ns)
{
	put_user_ns(ns);
}
