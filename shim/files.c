// SPDX-License-Identifier: GPL-2.0
/*
 * Which files could close a cycle of references if they travelled.
 */
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/net.h>
#include <linux/stat.h>
#include <linux/string.h>
#include <net/sock.h>

#include "abi.h"

bool bus1_file_is_unix(struct file *file)
{
	struct socket *sock = sock_from_file(file);

	return sock && sock->ops && sock->ops->family == AF_UNIX;
}

/*
 * io_is_uring_fops() is not exported. The name of an anonymous inode is given
 * by the kernel and can't be changed, so it identifies the file as well.
 */
bool bus1_file_is_io_uring(struct file *file)
{
	const struct dentry *dentry = file->f_path.dentry;

	return dentry->d_sb->s_magic == ANON_INODE_FS_MAGIC &&
	       !strcmp(dentry->d_name.name, "[io_uring]");
}

/*
 * A device of any Binder driver's file system, not only ours: the drivers share
 * its number. A file that was opened with O_PATH holds nothing.
 */
bool bus1_file_is_binder(struct file *file)
{
	const struct inode *inode = file_inode(file);

	return inode->i_sb->s_magic == BINDERFS_SUPER_MAGIC &&
	       S_ISCHR(inode->i_mode) && !(file->f_mode & FMODE_PATH);
}
