// What tests of whole calls on simulated GPUs share: a Context of their own, and ranks with everything that a call
// needs.
#ifndef ALLNORM_TESTS_UNIT_SIMULATION_H_
#define ALLNORM_TESTS_UNIT_SIMULATION_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "allnorm/buffer.h"
#include "allnorm/fused.h"
#include "allnorm/workspace.h"
#include "cache_fixture.h"
#include "reference/patterns.h"
#include "reference/reference.h"

namespace allnorm::testing {

/// One for the whole process, so that each kernel is compiled once.
inline const std::string& kernel_cache() {
  static const cache::test::Folder folder;
  return folder.path();
}

/// A fused call with static FP8 on every rank of a World, and what it must give.
class FusedFp8 {
 public:
  static constexpr std::uint8_t kPoison = 0xA5;
  static constexpr float kScale = 0.25F;

  FusedFp8(Context& context, World& world, std::int64_t tokens, int hidden_dim, Strategy strategy, std::uint64_t seed)
      : world_(world), tokens_(tokens), hidden_dim_(hidden_dim) {
    for (int r = 0; r < world.size(); r++) {
      ranks_.push_back(std::make_unique<Rank>(context, world.rank(r).device(), matrix_bytes(), row_bytes()));
      Rank& rank = *ranks_.back();
      fill(rank.input, seed, r, tokens);
      fill(rank.residual_in, seed, reference::kResidualRank, tokens);
      fill(rank.gamma, seed, reference::kGammaRank, 1);
      for (Buffer* buffer : {&rank.output, &rank.residual_out, &rank.quant_out}) buffer->fill(kPoison);
      rank.call.input = matrix(rank.input);
      rank.call.residual_in = matrix(rank.residual_in);
      rank.call.gamma = {rank.gamma.data(), DataType::kBF16, 1, hidden_dim};
      rank.call.output = matrix(rank.output);
      rank.call.residual_out = matrix(rank.residual_out);
      rank.call.quant_out = {rank.quant_out.data(), DataType::kE4M3, tokens, hidden_dim};
      rank.call.output_scale = kScale;
      rank.call.quant = Quant::kFp8;
      rank.call.strategy = strategy;
    }
    make_expected(seed);
  }

  void prepare() {
    for (int r = 0; r < world_.size(); r++) allnorm::prepare(world_.rank(r), ranks_[at(r)]->call);
  }
  void launch() {
    for (int r = 0; r < world_.size(); r++) launch(r);
  }
  void launch(int r) { fused_allreduce_add_rmsnorm_quant(world_.rank(r), ranks_[at(r)]->call, stream(r).get()); }
  void synchronize() {
    for (const auto& rank : ranks_) rank->stream.synchronize();
  }
  OwnedStream& stream(int r) { return ranks_[at(r)]->stream; }

  /// The ranks and tensors that are not the reference's to the bit; "" if all are.
  std::string differences() const {
    std::string text;
    for (std::size_t r = 0; r < ranks_.size(); r++) {
      compare(r, "output", ranks_[r]->output, expected_.output, text);
      compare(r, "residual_out", ranks_[r]->residual_out, expected_.residual_out, text);
      compare(r, "quant_out", ranks_[r]->quant_out, expected_.quant_out, text);
    }
    return text;
  }

 private:
  struct Rank {
    Rank(Context& context, int device, std::size_t matrix_bytes, std::size_t row_bytes)
        : input(context, device, matrix_bytes),
          residual_in(context, device, matrix_bytes),
          gamma(context, device, row_bytes),
          output(context, device, matrix_bytes),
          residual_out(context, device, matrix_bytes),
          quant_out(context, device, matrix_bytes / 2),
          stream(context, device) {}
    Buffer input, residual_in, gamma, output, residual_out, quant_out;
    OwnedStream stream;
    FusedCall call;
  };

  static std::size_t at(int rank) { return static_cast<std::size_t>(rank); }
  std::size_t row_bytes() const { return static_cast<std::size_t>(hidden_dim_) * 2; }
  std::size_t matrix_bytes() const { return static_cast<std::size_t>(tokens_) * row_bytes(); }
  Tensor matrix(Buffer& buffer) const { return {buffer.data(), DataType::kBF16, tokens_, hidden_dim_}; }

  std::vector<std::uint8_t> pattern(std::uint64_t seed, int rank, std::int64_t rows) const {
    std::vector<std::uint8_t> data(static_cast<std::size_t>(rows) * row_bytes());
    reference::fill(reference::Pattern::kRandom, DataType::kBF16, seed, rank, data.data(), rows, hidden_dim_);
    return data;
  }
  void fill(Buffer& buffer, std::uint64_t seed, int rank, std::int64_t rows) const {
    const std::vector<std::uint8_t> data = pattern(seed, rank, rows);
    buffer.write(data.data(), data.size());
  }

  void make_expected(std::uint64_t seed) {
    reference::Call call;
    call.world_size = world_.size();
    call.tokens = tokens_;
    call.hidden_dim = hidden_dim_;
    call.quant = Quant::kFp8;
    call.epsilon = reference::default_epsilon(DataType::kBF16);
    call.output_scale = kScale;
    std::vector<std::vector<std::uint8_t>> inputs;
    std::vector<const void*> pointers;
    for (int r = 0; r < world_.size(); r++) inputs.push_back(pattern(seed, r, tokens_));
    for (const auto& input : inputs) pointers.push_back(input.data());
    expected_ = reference::run(call, pointers, pattern(seed, reference::kResidualRank, tokens_).data(),
                               pattern(seed, reference::kGammaRank, 1).data(), kPoison);
  }

  static void compare(std::size_t rank, const char* tensor, const Buffer& got,
                      const std::vector<std::uint8_t>& expected, std::string& text) {
    std::vector<std::uint8_t> bytes(got.bytes());
    got.read(bytes.data(), bytes.size());
    if (bytes != expected) text += "rank " + std::to_string(rank) + " " + tensor + "\n";
  }

  World& world_;
  std::int64_t tokens_;
  int hidden_dim_;
  std::vector<std::unique_ptr<Rank>> ranks_;
  reference::Outputs expected_;
};

}  // namespace allnorm::testing

#endif  // ALLNORM_TESTS_UNIT_SIMULATION_H_
