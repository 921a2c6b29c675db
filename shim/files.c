// SPDX-License-Identifier: GPL-2.0
/*
 * Which files could close a cycle of references if they travelled, and closing
 * a file from inside a system call.
 */
#include <linux/dcache.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/net.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/stat.h>
#include <linux/string.h>
#include <linux/task_work.h>
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

struct bus1_closing {
	struct callback_head work;
	struct file *file;
};

static void bus1_file_let_go(struct callback_head *work)
{
	struct bus1_closing *closing =
		container_of(work, struct bus1_closing, work);

	fput(closing->file);
	kfree(closing);
}

/*
 * The system call in progress may use the file without a reference of its own,
 * which is why one is kept until it is over.
 */
void bus1_file_close(unsigned int fd)
{
	struct bus1_closing *closing = kmalloc(sizeof(*closing), GFP_KERNEL);
	struct file *file;

	if (!closing)
		return;
	file = file_close_fd(fd);
	if (!file) {
		kfree(closing);
		return;
	}
	closing->file = get_file(file);
	filp_close(file, current->files);
	init_task_work(&closing->work, bus1_file_let_go);
	if (task_work_add(current, &closing->work, TWA_RESUME))
		bus1_file_let_go(&closing->work);
}
