// SPDX-License-Identifier: MIT
// The whole programs in Go, on the standard library only.
module programs

go 1.19
