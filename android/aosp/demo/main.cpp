// SPDX-License-Identifier: MIT OR Apache-2.0
//
// binder_demo: a service and a client on AOSP's libbinder, and the two small
// helpers that the run script needs. Built by build.sh, started by run.sh.

#include "demo.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/android/binderfs.h>

#include <android-base/file.h>
#include <binder/IPCThreadState.h>
#include <binder/ProcessState.h>

std::string own_context()
{
	std::string context;
	if (!android::base::ReadFileToString("/proc/self/attr/current", &context))
		return "";
	/* The kernel ends it with a zero byte or a new line, or neither. */
	return context.substr(0, context.find_first_of(std::string("\0\n", 2)));
}

int wait_manager(const std::string &device)
{
	android::sp<android::ProcessState> process =
		android::ProcessState::initWithDriver(device.c_str());
	android::Parcel data, reply;

	for (int tries = 0; tries < 100; tries++) {
		if (android::IPCThreadState::self()->transact(
			    0, android::IBinder::PING_TRANSACTION, data, &reply, 0) == android::OK)
			return 0;
		usleep(100 * 1000);
	}
	std::fprintf(stderr, "nobody answers as context manager of %s\n", device.c_str());
	return 1;
}

int add_device(const std::string &dir, const std::string &name)
{
	struct binderfs_device device = {};

	if (name.size() > BINDERFS_MAX_NAME) {
		std::fprintf(stderr, "%s: name too long\n", name.c_str());
		return 1;
	}
	std::memcpy(device.name, name.c_str(), name.size());

	int fd = open((dir + "/binder-control").c_str(), O_RDONLY | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, BINDER_CTL_ADD, &device) < 0) {
		std::fprintf(stderr, "cannot add %s to %s: %s\n", name.c_str(), dir.c_str(),
			     std::strerror(errno));
		if (fd >= 0)
			close(fd);
		return 1;
	}
	close(fd);
	return 0;
}

static int usage()
{
	std::fputs("usage: binder_demo service DEVICE NAME\n"
		   "       binder_demo client DEVICE NAME\n"
		   "       binder_demo wait-manager DEVICE\n"
		   "       binder_demo add-device DIR NAME\n",
		   stderr);
	return 2;
}

int main(int argc, char **argv)
{
	std::string command = argc > 1 ? argv[1] : "";

	if (command == "service" && argc == 4)
		return run_service(argv[2], argv[3]);
	if (command == "client" && argc == 4)
		return run_client(argv[0], argv[2], argv[3]);
	if (command == "wait-manager" && argc == 3)
		return wait_manager(argv[2]);
	if (command == "add-device" && argc == 4)
		return add_device(argv[2], argv[3]);
	return usage();
}
