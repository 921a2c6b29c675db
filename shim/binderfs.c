// SPDX-License-Identifier: GPL-2.0
/*
 * The file system "binder": a directory with a control node, device nodes and
 * feature files.
 *
 * Each mount is an instance of its own. A device node stands for one object
 * of the Binder personality, which is made together with the node's inode and
 * dropped with it. Since an open file pins its inode, a removed node, or one
 * of a file system that is unmounted lazily, works until its last user is
 * gone. Everything that an inode owns (a minor, a place in the instance's
 * limit, its device) is given back in one place, evict_inode.
 *
 * What the VFS calls here is under the locks that
 * Documentation/filesystems/locking.rst names; there are no others.
 */
#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/capability.h>
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/fsnotify.h>
#include <linux/idr.h>
#include <linux/ipc_namespace.h>
#include <linux/kdev_t.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/nsproxy.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/user_namespace.h>
#include <uapi/linux/android/binderfs.h>

#include "abi.h"

/* What statfs(2) of the stock driver says. */
#define FS_MAGIC	0x6c6f6f70

#define NR_MINORS	BIT_U32(MINORBITS)
/* Left for mounts that were made in the initial IPC namespace. */
#define NR_RESERVED	4

#define ROOT_INO	1
#define CONTROL_INO	2
#define DEVICE_INO(minor)	((minor) + 3)

struct options {
	u32 max;
	bool stats_global;
};

/*
 * struct instance - what one mount is
 * @options: as mounted or remounted
 * @nr_devices: device inodes that are not evicted
 * @reserve: may use the last minors
 */
struct instance {
	struct options options;
	atomic_t nr_devices;
	bool reserve;
};

static char *devices = "binder,hwbinder,vndbinder";
module_param(devices, charp, 0444);
MODULE_PARM_DESC(devices, "Binder devices that a new binderfs mount has, separated by commas");

static const struct bus1_binderfs_ops *binder;
static dev_t first_dev;
static DEFINE_IDA(minors);

static struct instance *instance_of(const struct super_block *sb)
{
	return sb->s_fs_info;
}

static bool is_control(const struct inode *inode)
{
	return S_ISCHR(inode->i_mode) && inode->i_ino == CONTROL_INO;
}

/* Makes an inode that belongs to root of the mount's user namespace. */
static struct inode *make_inode(struct super_block *sb, umode_t mode, u64 ino)
{
	struct inode *inode = new_inode(sb);
	kuid_t uid = make_kuid(sb->s_user_ns, 0);
	kgid_t gid = make_kgid(sb->s_user_ns, 0);

	if (!inode)
		return NULL;
	inode->i_ino = ino;
	inode->i_mode = mode;
	inode->i_uid = uid_valid(uid) ? uid : GLOBAL_ROOT_UID;
	inode->i_gid = gid_valid(gid) ? gid : GLOBAL_ROOT_GID;
	simple_inode_init_ts(inode);
	return inode;
}

static struct inode *make_dir(struct super_block *sb, u64 ino,
			      const struct inode_operations *ops)
{
	struct inode *inode = make_inode(sb, S_IFDIR | 0755, ino);

	if (inode) {
		inode->i_op = ops;
		inode->i_fop = &simple_dir_operations;
		set_nlink(inode, 2);
	}
	return inode;
}

/*
 * Makes a character node with a minor of its own; evict_inode gives it back.
 * The inode number of a device follows from the minor.
 */
static struct inode *make_node(struct super_block *sb, bool control,
			       const struct file_operations *fops)
{
	unsigned int max = NR_MINORS - 1;
	struct inode *inode;
	int minor;

	if (!instance_of(sb)->reserve)
		max -= NR_RESERVED;
	minor = ida_alloc_max(&minors, max, GFP_KERNEL);
	if (minor < 0)
		return ERR_PTR(minor);
	inode = make_inode(sb, S_IFCHR | 0600,
			   control ? CONTROL_INO : DEVICE_INO(minor));
	if (!inode) {
		ida_free(&minors, minor);
		return ERR_PTR(-ENOMEM);
	}
	init_special_inode(inode, inode->i_mode, MKDEV(MAJOR(first_dev), minor));
	inode->i_fop = fops;
	return inode;
}

/* Gives @inode the name @name in @dir, and the reference to it away. */
static int link_inode(struct dentry *dir, const char *name, struct inode *inode,
		      bool notify)
{
	struct dentry *dentry = simple_start_creating(dir, name);

	if (IS_ERR(dentry)) {
		iput(inode);
		return PTR_ERR(dentry);
	}
	d_make_persistent(dentry, inode);
	if (S_ISDIR(inode->i_mode))
		inc_nlink(d_inode(dir));
	if (notify)
		fsnotify_create(d_inode(dir), dentry);
	simple_done_creating(dentry);
	return 0;
}

static struct inode *make_device(struct super_block *sb, const char *name)
{
	struct instance *instance = instance_of(sb);
	struct inode *inode;
	void *device;

	if (atomic_inc_return(&instance->nr_devices) >
	    READ_ONCE(instance->options.max)) {
		atomic_dec(&instance->nr_devices);
		return ERR_PTR(-ENOSPC);
	}
	inode = make_node(sb, false, binder->fops);
	if (IS_ERR(inode)) {
		atomic_dec(&instance->nr_devices);
		return inode;
	}
	device = binder->device_new(binder->root, name);
	if (IS_ERR(device)) {
		iput(inode);
		return device;
	}
	inode->i_private = device;
	return inode;
}

/*
 * Adds a device. The numbers are told to the caller before the name is
 * looked at, as the stock driver does; on failure nothing remains.
 */
static int add_device(struct super_block *sb, struct binderfs_device *request,
		      struct binderfs_device __user *out)
{
	struct inode *inode;

	request->name[BINDERFS_MAX_NAME] = 0;
	inode = make_device(sb, request->name);
	if (IS_ERR(inode))
		return PTR_ERR(inode);
	request->major = MAJOR(inode->i_rdev);
	request->minor = MINOR(inode->i_rdev);
	if (out && copy_to_user(out, request, sizeof(*request))) {
		iput(inode);
		return -EFAULT;
	}
	return link_inode(sb->s_root, request->name, inode, out);
}

static long control_ioctl(struct file *file, unsigned int cmd,
			  unsigned long arg)
{
	struct binderfs_device __user *user = (void __user *)arg;
	struct binderfs_device *request;
	long ret;

	if (cmd != BINDER_CTL_ADD)
		return -EINVAL;
	request = memdup_user(user, sizeof(*request));
	if (IS_ERR(request))
		return PTR_ERR(request);
	ret = add_device(file_inode(file)->i_sb, request, user);
	kfree(request);
	return ret;
}

static const struct file_operations control_fops = {
	.owner = THIS_MODULE,
	.open = nonseekable_open,
	.unlocked_ioctl = control_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

static ssize_t feature_read(struct file *file, char __user *buf, size_t len,
			    loff_t *pos)
{
	return simple_read_from_buffer(buf, len, pos, "1\n", 2);
}

static const struct file_operations feature_fops = {
	.owner = THIS_MODULE,
	.read = feature_read,
	.llseek = no_seek_end_llseek,
};

static int root_unlink(struct inode *dir, struct dentry *dentry)
{
	if (is_control(d_inode(dentry)))
		return -EPERM;
	return simple_unlink(dir, dentry);
}

static int root_rename(struct mnt_idmap *idmap, struct inode *old_dir,
		       struct dentry *old_dentry, struct inode *new_dir,
		       struct dentry *new_dentry, unsigned int flags)
{
	if (is_control(d_inode(old_dentry)))
		return -EPERM;
	if (d_really_is_positive(new_dentry) &&
	    is_control(d_inode(new_dentry)))
		return -EPERM;
	return simple_rename(idmap, old_dir, old_dentry, new_dir, new_dentry,
			     flags);
}

static const struct inode_operations root_iops = {
	.lookup = simple_lookup,
	.unlink = root_unlink,
	.rename = root_rename,
};

static void evict_inode(struct inode *inode)
{
	clear_inode(inode);
	if (!S_ISCHR(inode->i_mode))
		return;
	ida_free(&minors, MINOR(inode->i_rdev));
	if (is_control(inode))
		return;
	atomic_dec(&instance_of(inode->i_sb)->nr_devices);
	if (inode->i_private)
		binder->device_put(inode->i_private);
}

static int show_options(struct seq_file *seq, struct dentry *root)
{
	const struct options *options = &instance_of(root->d_sb)->options;

	seq_printf(seq, ",max=%u", READ_ONCE(options->max));
	if (options->stats_global)
		seq_puts(seq, ",stats=global");
	return 0;
}

static const struct super_operations super_ops = {
	.evict_inode = evict_inode,
	.show_options = show_options,
	.statfs = simple_statfs,
};

static int add_features(struct super_block *sb)
{
	struct inode *inode = make_dir(sb, get_next_ino(),
				       &simple_dir_inode_operations);
	struct dentry *dir;
	size_t i;
	int ret;

	if (!inode)
		return -ENOMEM;
	ret = link_inode(sb->s_root, "features", inode, false);
	if (ret)
		return ret;
	dir = d_find_any_alias(inode);
	for (i = 0; !ret && i < binder->nr_features; i++) {
		inode = make_inode(sb, S_IFREG | 0444, get_next_ino());
		if (!inode) {
			ret = -ENOMEM;
			break;
		}
		inode->i_fop = &feature_fops;
		ret = link_inode(dir, binder->features[i], inode, false);
	}
	dput(dir);
	return ret;
}

/* Adds the devices of the module parameter, up to the first empty name. */
static int add_default_devices(struct super_block *sb)
{
	struct binderfs_device *request;
	const char *name = devices;
	int ret = 0;

	request = kzalloc_obj(*request);
	if (!request)
		return -ENOMEM;
	while (!ret && *name && *name != ',') {
		size_t len = strcspn(name, ",");

		strscpy(request->name, name,
			min(len + 1, sizeof(request->name)));
		ret = add_device(sb, request, NULL);
		name += len;
		if (*name)
			name++;
	}
	kfree(request);
	return ret;
}

static int fill_super(struct super_block *sb, struct fs_context *fc)
{
	const struct options *options = fc->fs_private;
	struct instance *instance;
	struct inode *inode;
	int ret;

	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_magic = FS_MAGIC;
	sb->s_op = &super_ops;
	sb->s_time_gran = 1;
	/*
	 * The nodes are ours, whoever mounts: nobody can make others here, so
	 * they are usable in a mount of a user namespace as well.
	 */
	sb->s_iflags &= ~SB_I_NODEV;
	sb->s_iflags |= SB_I_NOEXEC;

	instance = kzalloc_obj(*instance);
	if (!instance)
		return -ENOMEM;
	instance->options = *options;
	/* init_ipc_ns is not exported, but the first task never leaves it. */
	instance->reserve = current->nsproxy->ipc_ns ==
			    init_task.nsproxy->ipc_ns;
	sb->s_fs_info = instance;

	sb->s_root = d_make_root(make_dir(sb, ROOT_INO, &root_iops));
	if (!sb->s_root)
		return -ENOMEM;
	inode = make_node(sb, true, &control_fops);
	if (IS_ERR(inode))
		return PTR_ERR(inode);
	ret = link_inode(sb->s_root, "binder-control", inode, false);
	if (!ret)
		ret = add_default_devices(sb);
	if (!ret)
		ret = add_features(sb);
	return ret;
}

static int get_tree(struct fs_context *fc)
{
	return get_tree_nodev(fc, fill_super);
}

enum { OPT_MAX, OPT_STATS };
enum { STATS_GLOBAL = 1 };

static const struct constant_table stats_modes[] = {
	{ "global", STATS_GLOBAL },
	{}
};

static const struct fs_parameter_spec parameters[] = {
	fsparam_u32("max", OPT_MAX),
	fsparam_enum("stats", OPT_STATS, stats_modes),
	{}
};

static int parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	struct options *options = fc->fs_private;
	struct fs_parse_result result;
	int opt = fs_parse(fc, parameters, param, &result);

	switch (opt) {
	case OPT_MAX:
		if (result.uint_32 > NR_MINORS)
			return invalfc(fc, "max is at most %u", NR_MINORS);
		options->max = result.uint_32;
		return 0;
	case OPT_STATS:
		if (!capable(CAP_SYS_ADMIN))
			return -EPERM;
		options->stats_global = true;
		return 0;
	default:
		return opt;
	}
}

/* An option that is not named again goes back to its default. */
static int reconfigure(struct fs_context *fc)
{
	struct instance *instance = instance_of(fc->root->d_sb);
	const struct options *options = fc->fs_private;

	if (options->stats_global != instance->options.stats_global)
		return invalfc(fc, "stats can't be changed by a remount");
	WRITE_ONCE(instance->options.max, options->max);
	return 0;
}

static void free_context(struct fs_context *fc)
{
	kfree(fc->fs_private);
}

static const struct fs_context_operations context_ops = {
	.free = free_context,
	.get_tree = get_tree,
	.parse_param = parse_param,
	.reconfigure = reconfigure,
};

static int init_context(struct fs_context *fc)
{
	struct options *options = kzalloc_obj(*options);

	if (!options)
		return -ENOMEM;
	options->max = NR_MINORS;
	fc->fs_private = options;
	fc->ops = &context_ops;
	return 0;
}

static void kill_sb(struct super_block *sb)
{
	struct instance *instance = instance_of(sb);

	/* Evicts the inodes, which still count in the instance. */
	kill_anon_super(sb);
	kfree(instance);
}

static struct file_system_type fs_type = {
	.name = "binder",
	.owner = THIS_MODULE,
	.init_fs_context = init_context,
	.parameters = parameters,
	.kill_sb = kill_sb,
	.fs_flags = FS_USERNS_MOUNT,
};
MODULE_ALIAS_FS("binder");

int bus1_binderfs_register(const struct bus1_binderfs_ops *ops)
{
	int ret;

	if (binder)
		return -EBUSY;
	ret = alloc_chrdev_region(&first_dev, 0, NR_MINORS, "binder");
	if (ret)
		return ret;
	/* From the next call on somebody can mount. */
	binder = ops;
	ret = register_filesystem(&fs_type);
	if (ret) {
		binder = NULL;
		unregister_chrdev_region(first_dev, NR_MINORS);
	}
	return ret;
}

void bus1_binderfs_unregister(void)
{
	unregister_filesystem(&fs_type);
	unregister_chrdev_region(first_dev, NR_MINORS);
	binder = NULL;
	ida_destroy(&minors);
}
