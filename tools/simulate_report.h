// What `allnorm simulate` says about a campaign, before it and after it.
#ifndef ALLNORM_TOOLS_SIMULATE_REPORT_H_
#define ALLNORM_TOOLS_SIMULATE_REPORT_H_

#include <string>

#include "campaign.h"
#include "simulate.h"

namespace allnorm::tools {

/// "Runs the standard scenario, 3 ranks ...".
std::string describe_campaign(const SimulateOptions& options, const Campaign& campaign);
/// Prints it. An exit code.
int report_campaign(const SimulateOptions& options, const Campaign& campaign, const CampaignResult& result);

}  // namespace allnorm::tools

#endif  // ALLNORM_TOOLS_SIMULATE_REPORT_H_
