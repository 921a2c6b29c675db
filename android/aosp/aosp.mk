# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Which files of Android's platform sources make libbinder, servicemanager and
# the driver's own tests on an ordinary Linux, and with which flags. Started by
# build.sh, which hands over:
#
#   SRC   unpacked (and edited) platform sources
#   GEN, GEN_DEMO   what aidl made of the platform's interfaces and of ours
#   OUT   objects, the library and bin/
#   DEMO  our own service and client
#   COMPAT   our stand-ins for headers that only Android has
#   GOOGLETEST   sources of googletest, for the driver's tests
#
# Everything is linked statically: the programs then run in any guest, whatever
# C library its root has.

ifeq ($(origin CXX),default)
CXX	:= clang++-19
endif
ifeq ($(origin AR),default)
AR	:= llvm-ar-19
endif

.DELETE_ON_ERROR:
.SUFFIXES:

NATIVE	:= $(SRC)/frameworks/native
BINDER	:= $(NATIVE)/libs/binder

# libstdc++ lacks headers that these sources expect to come along; libc++ has
# them. VENDORSERVICEMANAGER leaves out the manifest library (libvintf), which
# Debian does not ship. aidl 10 writes the classes in the form that Android 14
# takes for hand-written, hence the last define.
CPPFLAGS := -I$(COMPAT) -isystem $(GEN)/include \
	-isystem $(BINDER)/include -isystem $(BINDER) \
	-isystem $(SRC)/system/core/libcutils/include \
	-isystem $(SRC)/system/core/libutils/include \
	-isystem $(SRC)/system/core/libprocessgroup/include \
	-isystem $(SRC)/system/core/libsystem/include \
	-isystem $(SRC)/system/core/include \
	-isystem $(SRC)/system/libbase/include \
	-isystem $(SRC)/system/logging/liblog/include \
	-isystem $(SRC)/external/fmtlib/include \
	-isystem $(GOOGLETEST)/googletest/include -isystem $(GOOGLETEST)/googlemock/include \
	-D_FILE_OFFSET_BITS=64 -D_GNU_SOURCE \
	-DBINDER_WITH_KERNEL_IPC -DVENDORSERVICEMANAGER=1 \
	-DLIBLOG_LOG_TAG=1006 -DSNET_EVENT_LOG_TAG=1397638484 \
	-DDO_NOT_CHECK_MANUAL_BINDER_INTERFACES \
	-DFLAT_BINDER_FLAG_SCHED_POLICY_SHIFT=9 \
	-DFLAT_BINDER_FLAG_INHERIT_RT=0x800
CXXFLAGS := -std=gnu++20 -stdlib=libc++ -O1 -pthread
WARNINGS := -w

libbase := $(addprefix system/libbase/, abi_compatibility.cpp chrono_utils.cpp \
	cmsg.cpp errors_unix.cpp file.cpp hex.cpp logging.cpp mapped_file.cpp \
	parsebool.cpp parsenetaddress.cpp posix_strerror_r.cpp process.cpp \
	properties.cpp stringprintf.cpp strings.cpp threads.cpp) \
	external/fmtlib/src/format.cc
liblog := $(addprefix system/logging/liblog/, event_tag_map.cpp \
	log_event_list.cpp log_event_write.cpp logger_name.cpp logger_read.cpp \
	logger_write.cpp logprint.cpp properties.cpp)
libcutils := $(addprefix system/core/libcutils/, ashmem-host.cpp hashmap.cpp \
	load_file.cpp multiuser.cpp native_handle.cpp properties.cpp \
	iosched_policy.cpp sockets.cpp sockets_unix.cpp \
	trace-host.cpp)
libutils := $(addprefix system/core/libutils/, Errors.cpp JenkinsHash.cpp LightRefBase.cpp \
	Looper.cpp NativeHandle.cpp Printer.cpp RefBase.cpp SharedBuffer.cpp \
	StopWatch.cpp String16.cpp String8.cpp StrongPointer.cpp \
	SystemClock.cpp Threads.cpp Timers.cpp Tokenizer.cpp Unicode.cpp \
	VectorImpl.cpp misc.cpp)
libbinder := $(addprefix frameworks/native/libs/binder/, Binder.cpp \
	BpBinder.cpp BufferedTextOutput.cpp Debug.cpp FdTrigger.cpp \
	IInterface.cpp IMemory.cpp IPCThreadState.cpp IPermissionController.cpp \
	IResultReceiver.cpp IServiceManager.cpp IShellCallback.cpp \
	LazyServiceRegistrar.cpp MemoryBase.cpp MemoryDealer.cpp \
	MemoryHeapBase.cpp OS.cpp Parcel.cpp ParcelFileDescriptor.cpp \
	ParcelableHolder.cpp PermissionCache.cpp PermissionController.cpp \
	PersistableBundle.cpp ProcessState.cpp RecordedTransaction.cpp \
	RpcServer.cpp RpcSession.cpp RpcState.cpp RpcTransportRaw.cpp \
	ServiceManagerHost.cpp Stability.cpp Static.cpp Status.cpp \
	TextOutput.cpp Trace.cpp Utils.cpp UtilsHost.cpp)
servicemanager := $(addprefix frameworks/native/cmds/servicemanager/, \
	Access.cpp ServiceManager.cpp main.cpp)

gen := $(shell find $(GEN) -name '*.cpp')
demo := $(wildcard $(DEMO)/*.cpp)
gen_demo := $(shell find $(GEN_DEMO) -name '*.cpp')
tests := binderDriverInterfaceTest binderLibTest binderSafeInterfaceTest binderClearBufTest
# These two leave the entry point to googletest.
tests_without_main := binderTextOutputTest
tools := binderThroughputTest schd-dbg

obj = $(patsubst %,$(OUT)/obj/src/%.o,$(1))
lib_objs := $(call obj,$(libbase) $(liblog) $(libcutils) $(libutils) $(libbinder)) \
	$(gen:$(GEN)/%=$(OUT)/obj/gen/%.o)
demo_objs := $(demo:$(DEMO)/%=$(OUT)/obj/demo/%.o) \
	$(gen_demo:$(GEN_DEMO)/%=$(OUT)/obj/gen-demo/%.o)
gtest_objs := $(OUT)/obj/gtest/googletest/src/gtest-all.cc.o \
	$(OUT)/obj/gtest/googlemock/src/gmock-all.cc.o
gtest_main := $(OUT)/obj/gtest/googletest/src/gtest_main.cc.o

all: $(addprefix $(OUT)/bin/,servicemanager binder_demo $(tests) $(tests_without_main) $(tools))

COMPILE = @mkdir -p $(@D); echo '  CXX $<'; $(CXX) $(CPPFLAGS) $(CXXFLAGS) $(WARNINGS) -MD -MP -c -o $@ $<
LINK = @mkdir -p $(@D); echo '  LD $@'; \
	$(CXX) -stdlib=libc++ -static -pthread -fuse-ld=lld -Wl,--gc-sections -s -o $@ $^

$(OUT)/obj/src/%.o: $(SRC)/%
	$(COMPILE)
$(OUT)/obj/gen/%.o: $(GEN)/%
	$(COMPILE)
$(OUT)/obj/gen-demo/%.o: $(GEN_DEMO)/%
	$(COMPILE)
$(OUT)/obj/gtest/%.o: $(GOOGLETEST)/%
	$(COMPILE)
$(OUT)/obj/demo/%.o: $(DEMO)/%
	$(COMPILE)

# Our own files are held to more than the platform's.
$(OUT)/obj/demo/%.o: WARNINGS := -Wall -Wextra -Werror
$(demo_objs): CPPFLAGS += -isystem $(GEN_DEMO)/include -I$(DEMO)
# They miss headers that come along with others of Bionic.
$(OUT)/obj/src/frameworks/native/libs/binder/tests/%: CPPFLAGS += -include sys/ioctl.h -include sys/resource.h \
	-include sys/user.h
$(OUT)/obj/gtest/googletest/%: CPPFLAGS += -I$(GOOGLETEST)/googletest
$(OUT)/obj/gtest/googlemock/%: CPPFLAGS += -I$(GOOGLETEST)/googlemock

$(OUT)/libandroid.a: $(lib_objs)
	@rm -f $@; echo '  AR $@'; $(AR) rcs $@ $^
$(OUT)/libgtest.a: $(gtest_objs)
	@rm -f $@; echo '  AR $@'; $(AR) rcs $@ $^

$(OUT)/bin/servicemanager: $(call obj,$(servicemanager)) $(OUT)/libandroid.a
	$(LINK)
$(OUT)/bin/binder_demo: $(demo_objs) $(OUT)/libandroid.a
	$(LINK)
tested := $(OUT)/obj/src/frameworks/native/libs/binder/tests
$(addprefix $(OUT)/bin/,$(tests)): $(OUT)/bin/%: $(tested)/%.cpp.o $(OUT)/libandroid.a $(OUT)/libgtest.a
	$(LINK)
$(addprefix $(OUT)/bin/,$(tests_without_main)): $(OUT)/bin/%: $(tested)/%.cpp.o $(gtest_main) \
		$(call obj,system/libbase/test_utils.cpp) $(OUT)/libandroid.a $(OUT)/libgtest.a
	$(LINK)
$(addprefix $(OUT)/bin/,$(tools)): $(OUT)/bin/%: $(tested)/%.cpp.o $(OUT)/libandroid.a
	$(LINK)

-include $(shell find $(OUT)/obj -name '*.d' 2>/dev/null)
