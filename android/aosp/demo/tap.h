/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The Test Anything Protocol in a few lines: a plan, then one line for each
 * check, flushed at once, so that a crash loses no result.
 */
#ifndef BUS1_DEMO_TAP_H
#define BUS1_DEMO_TAP_H

#include <cstdio>
#include <string>

namespace tap {

class Report {
public:
	/* How many checks will follow; a reader counts them. */
	explicit Report(int planned) : planned_(planned)
	{
		std::printf("1..%d\n", planned);
		std::fflush(stdout);
	}

	/* Prints the result of one check and hands it back. */
	bool check(bool ok, const std::string &name)
	{
		run_++;
		if (!ok)
			failed_++;
		std::printf("%sok %d %s\n", ok ? "" : "not ", run_, name.c_str());
		std::fflush(stdout);
		return ok;
	}

	/* A remark that belongs to the checks around it. */
	void note(const std::string &text)
	{
		std::printf("# %s\n", text.c_str());
		std::fflush(stdout);
	}

	/* Exit status of the program: every planned check ran and passed. */
	int status() const
	{
		return failed_ == 0 && run_ == planned_ ? 0 : 1;
	}

private:
	int planned_;
	int run_ = 0;
	int failed_ = 0;
};

} /* namespace tap */

#endif
