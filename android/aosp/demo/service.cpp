// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The service of the demo: IEcho on AOSP's libbinder, registered with AOSP's
// servicemanager.

#include "demo.h"

#include <algorithm>
#include <cstdio>
#include <vector>

#include <unistd.h>

#include <android-base/file.h>
#include <binder/IPCThreadState.h>
#include <binder/IServiceManager.h>
#include <binder/ParcelFileDescriptor.h>
#include <binder/ProcessState.h>

#include "bus1/demo/BnEcho.h"

using android::IBinder;
using android::IPCThreadState;
using android::OK;
using android::ProcessState;
using android::sp;
using android::String16;
using android::base::unique_fd;
using android::binder::Status;
using bus1::demo::ICallback;

namespace {

class Echo : public bus1::demo::BnEcho {
public:
	Status echo(const std::string &text, std::string *ret) override
	{
		*ret = text;
		return Status::ok();
	}

	Status reverse(const std::vector<uint8_t> &data, std::vector<uint8_t> *ret) override
	{
		ret->assign(data.rbegin(), data.rend());
		return Status::ok();
	}

	Status callBack(const sp<ICallback> &callback, int32_t value, int32_t *ret) override
	{
		return callback->twice(value, ret);
	}

	Status bounce(const sp<ICallback> &callback, int32_t depth, int32_t *ret) override
	{
		*ret = 0;
		if (depth <= 0)
			return Status::ok();
		Status status = callback->bounce(sp<IBinder>::fromExisting(this), depth - 1, ret);
		*ret += 1;
		return status;
	}

	Status burst(const sp<ICallback> &callback, int32_t count) override
	{
		for (int32_t i = 0; i < count; i++) {
			Status status = callback->tick(i);
			if (!status.isOk())
				return status;
		}
		return Status::ok();
	}

	Status same(const sp<IBinder> &object, sp<IBinder> *ret) override
	{
		*ret = object;
		return Status::ok();
	}

	Status pipe(const std::string &text, android::os::ParcelFileDescriptor *ret) override
	{
		unique_fd read_end, write_end;
		if (!android::base::Pipe(&read_end, &write_end) ||
		    !android::base::WriteStringToFd(text, write_end))
			return Status::fromServiceSpecificError(errno);
		ret->reset(std::move(read_end));
		return Status::ok();
	}

	Status callerPid(int32_t *ret) override
	{
		*ret = IPCThreadState::self()->getCallingPid();
		return Status::ok();
	}

	Status callerUid(int32_t *ret) override
	{
		*ret = static_cast<int32_t>(IPCThreadState::self()->getCallingUid());
		return Status::ok();
	}

	Status callerContext(std::string *ret) override
	{
		const char *context = IPCThreadState::self()->getCallingSid();
		*ret = context ? context : "";
		return Status::ok();
	}

	Status pid(int32_t *ret) override
	{
		*ret = getpid();
		return Status::ok();
	}

	Status refuse(int32_t error) override
	{
		return Status::fromServiceSpecificError(error);
	}

	Status hang() override
	{
		for (;;)
			pause();
	}
};

} // namespace

int run_service(const std::string &device, const std::string &name)
{
	sp<ProcessState> process = ProcessState::initWithDriver(device.c_str());
	process->setThreadPoolMaxThreadCount(4);

	sp<Echo> echo = sp<Echo>::make();
	if (!own_context().empty())
		echo->setRequestingSid(true);

	android::status_t status = android::defaultServiceManager()->addService(
		String16(name.c_str()), echo);
	if (status != OK) {
		std::fprintf(stderr, "service: cannot register %s: %d\n", name.c_str(), status);
		return 1;
	}
	process->startThreadPool();
	IPCThreadState::self()->joinThreadPool();
	return 1;
}
