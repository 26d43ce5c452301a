// SPDX-License-Identifier: Apache-2.0
// Nothing: the object for whose sake the headers that tests share are compiled first.
