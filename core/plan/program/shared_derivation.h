// One layer's derivation under placements that differ in nothing but the lives that they split (ZeRO): what they have in
// common is derived once. Internal to the plan side.
#pragma once

#include <memory>

#include "plan/program/derivation.h"

namespace trellis {

// Const, thus thread-safe, once made. The context's op library must outlive it.
class Derivation {
 public:
  // Throws as derive().
  Derivation(std::shared_ptr<const LayerSpec>, const Placement&, const DeriveContext&);
  Derivation(const Derivation&) = delete;
  Derivation& operator=(const Derivation&) = delete;

  // What derive() yields under this placement, of which key_of_compute() says what it said of the first.
  LayerProgram program(const Placement&) const;
  // Without buckets, and what is done for them: the slots on the layer's edges are those of every such program.
  const LayerProgram& compute() const { return draft_.program; }

 private:
  std::shared_ptr<const LayerSpec> spec_;
  Placement placement_;
  DeriveContext context_;
  derivation::Draft draft_;  // refers to the members above
};

}  // namespace trellis
