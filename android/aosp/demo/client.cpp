// SPDX-License-Identifier: MIT OR Apache-2.0
//
// The client of the demo: looks the service up, uses everything that it offers,
// lets it die in the middle of a call and checks what it is told about that.

#include "demo.h"
#include "tap.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <android-base/file.h>
#include <binder/IServiceManager.h>
#include <binder/ParcelFileDescriptor.h>
#include <binder/ProcessState.h>

#include "bus1/demo/BnCallback.h"
#include "bus1/demo/IEcho.h"

using android::DEAD_OBJECT;
using android::defaultServiceManager;
using android::FAILED_TRANSACTION;
using android::IBinder;
using android::IInterface;
using android::interface_cast;
using android::IServiceManager;
using android::OK;
using android::ProcessState;
using android::sp;
using android::String16;
using android::wp;
using android::binder::Status;
using bus1::demo::IEcho;

namespace {

constexpr int kBurst = 32;
constexpr int kDepth = 10;
constexpr int kThreads = 4;
constexpr int kCalls = 25;
constexpr auto kPatience = std::chrono::seconds(60);

/* A number that other threads raise and this one waits for. */
class Counter {
public:
	void raise()
	{
		std::lock_guard guard(lock_);
		value_++;
		changed_.notify_all();
	}

	bool reaches(int wanted)
	{
		std::unique_lock guard(lock_);
		return changed_.wait_for(guard, kPatience, [&] { return value_ >= wanted; });
	}

	int value()
	{
		std::lock_guard guard(lock_);
		return value_;
	}

private:
	std::mutex lock_;
	std::condition_variable changed_;
	int value_ = 0;
};

class Callback : public bus1::demo::BnCallback {
public:
	Status twice(int32_t value, int32_t *ret) override
	{
		thread = std::this_thread::get_id();
		*ret = 2 * value;
		return Status::ok();
	}

	Status bounce(const sp<IBinder> &echo, int32_t depth, int32_t *ret) override
	{
		*ret = 0;
		if (depth <= 0)
			return Status::ok();
		Status status = interface_cast<IEcho>(echo)->bounce(
			sp<Callback>::fromExisting(this), depth - 1, ret);
		*ret += 1;
		return status;
	}

	Status tick(int32_t number) override
	{
		if (number != ticks.value())
			in_order = false;
		ticks.raise();
		return Status::ok();
	}

	std::thread::id thread;
	std::atomic<bool> in_order = true;
	Counter ticks;
};

class Obituary : public IBinder::DeathRecipient {
public:
	void binderDied(const wp<IBinder> &) override { deaths.raise(); }

	Counter deaths;
};

class Registration : public IServiceManager::LocalRegistrationCallback {
public:
	void onServiceRegistration(const String16 &, const sp<IBinder> &binder) override
	{
		{
			std::lock_guard guard(lock_);
			binder_ = binder;
		}
		seen.raise();
	}

	sp<IBinder> binder()
	{
		std::lock_guard guard(lock_);
		return binder_;
	}

	Counter seen;

private:
	std::mutex lock_;
	sp<IBinder> binder_;
};

/* Whether the service manager forgets the name within our patience. */
bool name_vanishes(const String16 &name)
{
	auto end = std::chrono::steady_clock::now() + kPatience;

	while (defaultServiceManager()->checkService(name) != nullptr) {
		if (std::chrono::steady_clock::now() > end)
			return false;
		std::this_thread::sleep_for(std::chrono::milliseconds(20));
	}
	return true;
}

bool is_listed(const String16 &name)
{
	for (const String16 &service : defaultServiceManager()->listServices())
		if (service == name)
			return true;
	return false;
}

void check_calls(tap::Report &report, const sp<IEcho> &echo)
{
	std::string text;
	report.check(echo->echo("hello", &text).isOk() && text == "hello",
		     "a call carries a string there and back");

	for (size_t size : {0, 1, 4096, 100 * 1024, 600 * 1024}) {
		std::vector<uint8_t> data(size), answer;
		for (size_t i = 0; i < size; i++)
			data[i] = static_cast<uint8_t>(i * 7 + i / 256);
		Status status = echo->reverse(data, &answer);
		report.check(status.isOk() &&
				     std::vector<uint8_t>(answer.rbegin(), answer.rend()) == data,
			     std::to_string(size) + " bytes come back reversed");
	}

	std::vector<uint8_t> huge(2 * 1024 * 1024), answer;
	report.check(echo->reverse(huge, &answer).transactionError() == FAILED_TRANSACTION,
		     "a call larger than the receiver's buffer is refused");
	report.check(echo->echo("after", &text).isOk() && text == "after",
		     "the next call works");
	report.check(echo->refuse(42).serviceSpecificErrorCode() == 42,
		     "the service's own error arrives");

	std::vector<std::thread> threads;
	std::atomic<int> good = 0;
	for (int t = 0; t < kThreads; t++)
		threads.emplace_back([&, t] {
			for (int i = 0; i < kCalls; i++) {
				std::string sent = std::to_string(t * kCalls + i), got;
				if (echo->echo(sent, &got).isOk() && got == sent)
					good++;
			}
		});
	for (std::thread &thread : threads)
		thread.join();
	report.check(good == kThreads * kCalls,
		     "calls of several threads at once all get their own answers");
}

void check_caller(tap::Report &report, const sp<IEcho> &echo)
{
	int32_t number = -1;
	report.check(echo->callerPid(&number).isOk() && number == getpid(),
		     "the service learns the caller's process");
	report.check(echo->callerUid(&number).isOk() && number == static_cast<int32_t>(getuid()),
		     "the service learns the caller's user");

	std::string context;
	report.note("security context: '" + own_context() + "'");
	report.check(echo->callerContext(&context).isOk() && context == own_context(),
		     "the service learns the caller's security context, if there is one");
}

void check_objects(tap::Report &report, const sp<IEcho> &echo)
{
	sp<Callback> callback = sp<Callback>::make();
	int32_t number = 0;
	report.check(echo->callBack(callback, 21, &number).isOk() && number == 42,
		     "the service calls the client back");
	report.check(callback->thread == std::this_thread::get_id(),
		     "the thread that waits for the answer serves the call back");
	report.check(echo->bounce(callback, kDepth, &number).isOk() && number == kDepth,
		     "nested calls go to and fro");
	report.check(echo->burst(callback, kBurst).isOk() && callback->ticks.reaches(kBurst) &&
			     callback->in_order,
		     "a burst of oneway calls arrives complete and in order");

	sp<IBinder> own = IInterface::asBinder(callback), there = IInterface::asBinder(echo), back;
	report.check(echo->same(own, &back).isOk() && back == own,
		     "an own object that comes back is the same object");
	report.check(echo->same(there, &back).isOk() && back == there,
		     "the service's object that comes back is the same proxy");
	report.check(echo->same(nullptr, &back).isOk() && back == nullptr,
		     "no object stays no object");

	android::os::ParcelFileDescriptor fd;
	std::string text;
	report.check(echo->pipe("through a pipe", &fd).isOk() &&
			     android::base::ReadFdToString(fd.get(), &text) &&
			     text == "through a pipe",
		     "a file descriptor arrives and can be read");
}

void check_death(tap::Report &report, const sp<IEcho> &echo, const String16 &name)
{
	sp<IBinder> binder = IInterface::asBinder(echo);
	sp<Obituary> told = sp<Obituary>::make(), not_told = sp<Obituary>::make();
	int32_t pid = 0;
	if (!echo->pid(&pid).isOk() || pid <= 1)
		pid = 0;

	report.check(binder->linkToDeath(told) == OK && binder->linkToDeath(not_told) == OK,
		     "the client asks to be told about the service's death");
	report.check(binder->unlinkToDeath(not_told) == OK, "and can take that back");

	std::thread killer([pid] {
		std::this_thread::sleep_for(std::chrono::milliseconds(200));
		if (pid)
			kill(pid, SIGKILL);
	});
	report.check(pid != 0 && echo->hang().transactionError() == DEAD_OBJECT,
		     "a call ends when the service is killed in the middle of it");
	killer.join();
	report.check(told->deaths.reaches(1), "the death notification arrives");
	report.check(told->deaths.value() == 1 && not_told->deaths.value() == 0,
		     "once, and only where it is still wanted");
	report.check(!binder->isBinderAlive() && binder->pingBinder() == DEAD_OBJECT,
		     "the proxy knows that its object is dead");
	report.check(name_vanishes(name), "servicemanager, told as well, forgets the name");
}

void check_restart(tap::Report &report, const std::string &self, const std::string &device,
		   const std::string &name)
{
	sp<Registration> registration = sp<Registration>::make();
	String16 name16(name.c_str());
	report.check(defaultServiceManager()->registerForNotifications(name16, registration) == OK,
		     "the client asks servicemanager to be told when the name is back");

	std::string mode = "service", dev = device, own = name, path = self;
	char *argv[] = { path.data(), mode.data(), dev.data(), own.data(), nullptr };
	pid_t child = 0;
	bool spawned = posix_spawn(&child, self.c_str(), nullptr, nullptr, argv, environ) == 0;
	report.check(spawned && registration->seen.reaches(1),
		     "a new service registers and servicemanager calls the client");

	std::string text;
	sp<IEcho> echo = interface_cast<IEcho>(registration->binder());
	report.check(echo != nullptr && echo->echo("again", &text).isOk() && text == "again",
		     "the object that came with the call is usable");

	bool reaped = spawned && kill(child, SIGKILL) == 0 && waitpid(child, nullptr, 0) == child;
	report.check(reaped && name_vanishes(name16), "the new service ends as the first did");
}

} // namespace

int run_client(const std::string &self, const std::string &device, const std::string &name)
{
	tap::Report report(37);
	ProcessState::initWithDriver(device.c_str())->startThreadPool();

	String16 name16(name.c_str());
	report.check(is_listed(String16("manager")), "servicemanager lists itself");
	sp<IBinder> binder = defaultServiceManager()->waitForService(name16);
	if (!report.check(binder != nullptr, "the service is found by its name"))
		return report.status();
	report.check(is_listed(name16), "servicemanager lists the service");
	report.check(defaultServiceManager()->checkService(String16("no.such")) == nullptr,
		     "an unknown name is not found");
	report.check(binder->remoteBinder() != nullptr && binder->pingBinder() == OK &&
			     binder->getInterfaceDescriptor() == IEcho::descriptor,
		     "it is another process's object and says what it is");

	sp<IEcho> echo = interface_cast<IEcho>(binder);
	if (echo == nullptr)
		return report.status();
	check_calls(report, echo);
	check_caller(report, echo);
	check_objects(report, echo);
	check_death(report, echo, name16);
	check_restart(report, self, device, name);
	return report.status();
}
